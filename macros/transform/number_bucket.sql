{# Both outer edges belong to the buckets, or the smallest and the largest value would be nowhere. #}
{% macro number_bucket(column, lowest, highest, edges_passed, closed, outside) -%}
    {%- if closed not in ['left', 'right'] or outside not in ['clip', 'null'] -%}
        {%- do exceptions.raise_compiler_error(
            "A bucket is closed 'left' or 'right', and what is outside is 'clip' or 'null'; not "
            ~ closed ~ ', ' ~ outside ~ '.'
        ) -%}
    {%- endif -%}
    case
        {%- if outside == 'null' %}
        when {{ nan_to_null(column) }} between {{ lowest }} and {{ highest }}
            then coalesce({{ edges_passed }}, 0)
        {%- else %}
        when {{ nan_to_null(column) }} is not null and {{ lowest }} is not null
            then coalesce({{ edges_passed }}, 0)
        {%- endif %}
    end
{%- endmacro %}
