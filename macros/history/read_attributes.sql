{#
    Personal data end in staging, so a column beyond the contract must say whether it holds them. A declared column that
    the source has not shown yet is null.
#}
{% macro read_attributes(input) -%}
    {%- set declared = var('extra_attributes').get(input, {}) -%}
    {%- set shown, values = {}, {} -%}
    {%- if execute and declared -%}
        {%- for column in adapter.get_columns_in_relation(get_contract(input).relation) -%}
            {%- do shown.update({column.name | lower: column.name}) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for column, meaning in declared.items() -%}
        {%- if 'pii' not in meaning -%}
            {%- do exceptions.raise_compiler_error(
                'var extra_attributes: ' ~ input ~ ', ' ~ column ~ ' does not say whether it holds '
                ~ 'personal data. Add pii: none, or its class, such as pii: email, to leave it out.'
            ) -%}
        {%- elif meaning.pii in ('none', none) -%}
            {%- set name = shown.get(column | lower) -%}
            {%- do values.update({column:
                'cast(' ~ (adapter.quote(name) if name else 'null') ~ ' as '
                ~ meaning.get('data_type', 'varchar') ~ ')'
            }) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if values -%}
        case when not _is_tombstone then {{ build_json(values) }} end
    {%- else -%}
        cast(null as varchar)
    {%- endif -%}
{%- endmacro %}
