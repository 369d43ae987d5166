{% snapshot customer_segments %}

    {{ config(
        unique_key='customer_id',
        strategy='check',
        check_cols=['segment'],
        hard_deletes='invalidate',
    ) }}

    {# A build with --empty knows no customers; it must not end the history of all of them. #}
    {% if flags.EMPTY and adapter.get_relation(this.database, this.schema, this.identifier) %}
        select
            customer_id,
            segment
        from {{ this }}
        where dbt_valid_to is null
    {% else %}
        select
            customer_id,
            segment
        from {{ ref('customer_360') }}
    {% endif %}

{% endsnapshot %}
