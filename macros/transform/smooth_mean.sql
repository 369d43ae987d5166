{# As scikit-learn's TargetEncoder: towards the mean of all by the spread within, or by a number of rows. #}
{% macro smooth_mean(row_count, mean, variance, mean_of_all, variance_of_all, smoothing) -%}
    {%- if smoothing == 'auto' -%}
    {{ mean_of_all }} + coalesce(
        ({{ mean }} - {{ mean_of_all }}) * {{ variance_of_all }} * {{ row_count }}
        / nullif({{ variance_of_all }} * {{ row_count }} + {{ variance }}, 0),
        0
    )
    {%- else -%}
    coalesce(
        ({{ row_count }} * {{ mean }} + {{ smoothing }} * {{ mean_of_all }})
        / nullif({{ row_count }} + {{ smoothing }}, 0),
        {{ mean_of_all }}
    )
    {%- endif -%}
{%- endmacro %}
