{{ config(materialized='view') }}

{% set compared = "participation = 'compared'" %}

with experiment_customers as (

    select * from {{ ref('experiment_customers') }}

),

dim_experiment as (

    select * from {{ ref('dim_experiment') }}

),

customers_counted as (

    select
        experiment_name,
        variant,
        max(currency) as currency,
        count(case when participation = 'compared' then 1 end) as customer_count,
        count(case when participation = 'compared' and is_converted then 1 end)
            as conversion_count,
        count(case when participation = 'waiting' then 1 end) as waiting_count,
        count(case when participation = 'unexposed' then 1 end) as unexposed_count,
        count(case when participation = 'contaminated' then 1 end) as contaminated_count,
        count(case when participation = 'removed' then 1 end) as removed_count,
        avg(case when participation = 'compared' then window_net_sales_amount end)
            as mean_amount,
        {{ deviate_in_order('window_net_sales_amount', ['customer_id'], compared, 'var_samp') }}
            as amount_variance,
        count(case when participation = 'compared' then metric_value end) as metric_count,
        {{ sum_in_order('metric_value', ['customer_id'], compared) }}
        / nullif(count(case when participation = 'compared' then metric_value end), 0)
            as mean_metric_value,
        {{ deviate_in_order('metric_value', ['customer_id'], compared, 'var_samp') }}
            as metric_variance
    from experiment_customers
    group by experiment_name, variant

),

variants_described as (

    select
        dim_experiment.experiment_name,
        dim_experiment.variant,
        dim_experiment.is_control,
        dim_experiment.planned_share,
        dim_experiment.metric,
        customers_counted.currency,
        coalesce(customers_counted.customer_count, 0) as customer_count,
        coalesce(customers_counted.conversion_count, 0) as conversion_count,
        coalesce(customers_counted.waiting_count, 0) as waiting_count,
        coalesce(customers_counted.unexposed_count, 0) as unexposed_count,
        coalesce(customers_counted.contaminated_count, 0) as contaminated_count,
        coalesce(customers_counted.removed_count, 0) as removed_count,
        cast(customers_counted.mean_amount as double) as mean_amount,
        customers_counted.amount_variance / nullif(customers_counted.customer_count, 0)
            as mean_variance,
        coalesce(customers_counted.metric_count, 0) as metric_count,
        customers_counted.mean_metric_value,
        customers_counted.metric_variance / nullif(customers_counted.metric_count, 0)
            as mean_metric_variance,
        cast(sum(
            case when dim_experiment.planned_share > 0 then 1 else 0 end * (
                coalesce(customers_counted.customer_count, 0)
                + coalesce(customers_counted.waiting_count, 0)
            )
        ) over (partition by dim_experiment.experiment_name) as bigint) as sample_count
    from dim_experiment
    left join customers_counted
        on
            dim_experiment.experiment_name = customers_counted.experiment_name
            and dim_experiment.variant = customers_counted.variant

),

-- The bounds are those of the rate's score interval.
int_experiment_variants_measured as (

    select
        experiment_name,
        variant,
        metric,
        currency,
        customer_count,
        conversion_count,
        waiting_count,
        unexposed_count,
        contaminated_count,
        removed_count,
        sample_count,
        planned_share,
        conversion_count * 1e0 / nullif(customer_count, 0) as conversion_rate,
        {{ compute_wilson_bound('conversion_count', 'customer_count', '-') }} as lowest_rate,
        {{ compute_wilson_bound('conversion_count', 'customer_count', '+') }} as highest_rate,
        mean_amount,
        mean_variance,
        metric_count,
        mean_metric_value,
        mean_metric_variance,
        is_control
    from variants_described

)

select * from int_experiment_variants_measured
