{# What features count or sum, each once: features that differ by their windows alone share a measure. #}
{% macro list_measures(values) -%}
    {%- set measures, named = [], {} -%}
    {%- for value in values -%}
        {%- set of = value.of if value.agg != 'count' else none -%}
        {%- set parts = [value.of or '', value.where or '', value.agg != 'count'] | join('|') -%}
        {%- if parts not in named -%}
            {%- do named.update({parts: {
                'name': 'measure_' ~ (measures | length + 1),
                'of': of,
                'not_null': value.of,
                'kind': value.kind,
                'counts': 'counts_' ~ value.feature if value.where,
                'features': [],
            }}) -%}
            {%- do measures.append(named[parts]) -%}
        {%- endif -%}
        {%- do named[parts].features.append(value.feature) -%}
    {%- endfor -%}
    {{ return(measures) }}
{%- endmacro %}
