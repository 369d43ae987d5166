{# Each is a field and another one whose equal values select candidates: email, phone or address. #}
{% macro list_dependent_fields() -%}
    {{ return([
        ('person_name', 'email'),
        ('person_name', 'address'),
        ('phone', 'address'),
    ]) }}
{%- endmacro %}
