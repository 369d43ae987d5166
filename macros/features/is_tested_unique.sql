{# Whether a data test refuses a second row with the same values of some columns: then no event has to be dropped. #}
{% macro is_tested_unique(node, columns) -%}
    {%- set found = [] -%}
    {%- for test in graph.nodes.values()
        if test.resource_type == 'test' and test.attached_node == node.unique_id and test.test_metadata
        and test.test_metadata.name in ['unique', 'unique_combination_of_columns']
        and (test.test_metadata.kwargs.get('columns') or [test.column_name]) == columns
        and not test.config.get('where') -%}
        {%- do found.append(test.name) -%}
    {%- endfor -%}
    {{ return(found != []) }}
{%- endmacro %}
