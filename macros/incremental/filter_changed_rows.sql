{# Within the marks of training_set, which get_definition leaves out. #}
{% macro filter_changed_rows() -%}
    {%- if is_incremental() -%}
    where {{ hash_texts(config.get('meta', {}).key) }} in (select row_key from {{ this.identifier }}__affected)
    {%- endif -%}
{%- endmacro %}
