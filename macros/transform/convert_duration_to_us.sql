{% macro convert_duration_to_us(duration) -%}
    {%- set seconds = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400} -%}
    {%- if not modules.re.fullmatch('[1-9][0-9]*[smhd]', duration | string) -%}
        {%- do exceptions.raise_compiler_error(
            "The duration '" ~ duration ~ "' is none. Write a number and s, m, h or d: 10m, 30d."
        ) -%}
    {%- endif -%}
    {{ return(duration[:-1] | int * seconds[duration[-1]] * 1000000) }}
{%- endmacro %}
