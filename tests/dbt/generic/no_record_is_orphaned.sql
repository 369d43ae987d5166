{# flows/warehouse/orphans.py makes a sentence of each relation that is returned. #}
{% test no_record_is_orphaned(model) %}

    {{ config(fail_calc='coalesce(sum(orphan_count), 0)') }}

    select *
    from {{ model }}
    where is_gap

{% endtest %}
