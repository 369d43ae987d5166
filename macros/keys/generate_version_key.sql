{% macro generate_version_key(key, changed_at) -%}
    {%- set epoch_us -%}
        coalesce(cast({{ convert_to_epoch_us(changed_at) }} as {{ dbt.type_string() }}), 'unknown')
    {%- endset -%}
    {{ generate_surrogate_key([key, epoch_us]) }}
{%- endmacro %}
