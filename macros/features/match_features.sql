{# A pattern of features as a regular expression; one that names no feature is an error. #}
{% macro match_features(pattern, groups) -%}
    {%- set model_name, _, name = pattern.partition('.') -%}
    {%- set expression = modules.re.escape(name).replace('\\*', '.*') -%}
    {%- set features, found = [], [] -%}
    {%- for group in groups -%}
        {%- for value in group['values'] -%}
            {%- do features.append(value.feature) -%}
            {%- if modules.re.fullmatch(expression, value.feature) -%}
                {%- do found.append(value.feature) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if not found -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ " uses the features '" ~ pattern ~ "', but " ~ model_name ~ ' declares none of that name. '
            ~ 'It declares ' ~ (features | join(', ') or 'no features') ~ '. See: python -m flows features'
        ) -%}
    {%- endif -%}
    {{ return(expression) }}
{%- endmacro %}
