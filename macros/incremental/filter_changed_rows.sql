{# On one line, as get_affected_filter_pattern takes it. #}
{% macro filter_changed_rows() -%}
    {%- if is_incremental() -%}
    where {{ hash_texts(config.get('meta', {}).key) }} in (select row_key from {{ this.identifier }}__affected)
    {%- endif -%}
{%- endmacro %}
