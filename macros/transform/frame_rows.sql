{% macro frame_rows(rows, centred) -%}
    {%- if centred and rows % 2 == 0 -%}
        {%- do exceptions.raise_compiler_error(
            'A window of ' ~ rows ~ ' rows has no middle: it is centred with an odd number of them.'
        ) -%}
    {%- endif -%}
    {%- if centred -%}
    rows between {{ rows // 2 }} preceding and {{ rows // 2 }} following
    {%- else -%}
    rows between {{ rows - 1 }} preceding and current row
    {%- endif -%}
{%- endmacro %}
