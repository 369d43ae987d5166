{% set quantities = [
    ('amount', 'mean_amount', 'mean_variance', 'customer_count'),
    ('metric', 'mean_metric_value', 'mean_metric_variance', 'metric_count'),
] %}

with variants as (

    select * from {{ ref('int_experiment_variants_measured') }}

),

splits_compared as (

    select
        experiment_name,
        max(currency) as currency,
        sum(
            power(customer_count + waiting_count - sample_count * planned_share, 2)
            / nullif(sample_count * planned_share, 0)
        ) as sample_ratio_chi_square,
        min(case when planned_share > 0 then sample_count * planned_share end)
            as smallest_expected_count,
        count(case when planned_share > 0 then 1 end) - 1 as degrees_of_freedom,
        sum(waiting_count) as waiting_count,
        sum(unexposed_count) as unexposed_count,
        sum(contaminated_count) as contaminated_count,
        sum(removed_count) as removed_count
    from variants
    group by experiment_name

),

splits_judged as (

    select
        *,
        case
            when smallest_expected_count >= 5
                then {{ compute_chi_square_tail('sample_ratio_chi_square', 'degrees_of_freedom') }}
        end as sample_ratio_p_value
    from splits_compared

),

differences_measured as (

    select
        treatment.experiment_name,
        treatment.variant,
        control.variant as control_variant,
        control.customer_count as control_customer_count,
        treatment.customer_count,
        control.conversion_count as control_conversion_count,
        treatment.conversion_count,
        control.conversion_rate as control_conversion_rate,
        treatment.conversion_rate,
        treatment.conversion_rate - control.conversion_rate as uplift,
        sqrt(
            power(treatment.conversion_rate - treatment.lowest_rate, 2)
            + power(control.highest_rate - control.conversion_rate, 2)
        ) as reach_below,
        sqrt(
            power(treatment.highest_rate - treatment.conversion_rate, 2)
            + power(control.conversion_rate - control.lowest_rate, 2)
        ) as reach_above,
        (treatment.conversion_count + control.conversion_count) * 1e0
        / nullif(treatment.customer_count + control.customer_count, 0) as pooled_rate,
        1e0 / nullif(treatment.customer_count, 0) + 1e0 / nullif(control.customer_count, 0)
            as inverse_counts,
        {% for quantity, mean, variance, count in quantities -%}
            control.{{ mean }} as control_{{ mean }},
            treatment.{{ mean }},
            treatment.{{ mean }} - control.{{ mean }} as {{ quantity }}_difference,
            treatment.{{ variance }} + control.{{ variance }} as {{ quantity }}_variance,
            power(treatment.{{ variance }} + control.{{ variance }}, 2) / nullif(
                power(treatment.{{ variance }}, 2) / nullif(treatment.{{ count }} - 1, 0)
                + power(control.{{ variance }}, 2) / nullif(control.{{ count }} - 1, 0),
                0
            ) as {{ quantity }}_degrees_of_freedom,
        {% endfor -%}
        treatment.metric
    from variants as treatment
    inner join variants as control
        on treatment.experiment_name = control.experiment_name and control.is_control
    where not treatment.is_control

),

differences_judged as (

    select
        *,
        uplift / nullif(sqrt(pooled_rate * (1e0 - pooled_rate) * inverse_counts), 0) as z_score,
        {{ compute_student_quantile('amount_degrees_of_freedom') }} * sqrt(amount_variance)
            as amount_reach,
        {{ compute_student_quantile('metric_degrees_of_freedom') }} * sqrt(metric_variance)
            as metric_reach
    from differences_measured

),

experiment_results as (

    select
        differences_judged.experiment_name,
        differences_judged.variant,
        differences_judged.control_variant,
        differences_judged.metric,
        splits_judged.currency,
        differences_judged.control_customer_count,
        differences_judged.customer_count,
        differences_judged.control_conversion_count,
        differences_judged.conversion_count,
        differences_judged.control_conversion_rate,
        differences_judged.conversion_rate,
        differences_judged.uplift,
        differences_judged.uplift - differences_judged.reach_below as uplift_lower,
        differences_judged.uplift + differences_judged.reach_above as uplift_upper,
        differences_judged.uplift / nullif(differences_judged.control_conversion_rate, 0)
            as relative_uplift,
        differences_judged.z_score,
        2e0 * {{ compute_normal_tail('differences_judged.z_score') }} as p_value,
        cast(differences_judged.control_mean_amount as decimal(18, 4))
            as control_net_sales_amount_per_customer,
        cast(differences_judged.mean_amount as decimal(18, 4))
            as net_sales_amount_per_customer,
        cast(differences_judged.amount_difference as decimal(18, 4))
            as net_sales_amount_difference,
        cast(
            differences_judged.amount_difference - differences_judged.amount_reach
            as decimal(18, 4)
        ) as net_sales_amount_difference_lower,
        cast(
            differences_judged.amount_difference + differences_judged.amount_reach
            as decimal(18, 4)
        ) as net_sales_amount_difference_upper,
        differences_judged.control_mean_metric_value as control_metric_value_per_customer,
        differences_judged.mean_metric_value as metric_value_per_customer,
        differences_judged.metric_difference as metric_value_difference,
        differences_judged.metric_difference - differences_judged.metric_reach
            as metric_value_difference_lower,
        differences_judged.metric_difference + differences_judged.metric_reach
            as metric_value_difference_upper,
        splits_judged.sample_ratio_chi_square,
        splits_judged.sample_ratio_p_value,
        cast(splits_judged.waiting_count as bigint) as waiting_count,
        cast(splits_judged.unexposed_count as bigint) as unexposed_count,
        cast(splits_judged.contaminated_count as bigint) as contaminated_count,
        cast(splits_judged.removed_count as bigint) as removed_count,
        coalesce(splits_judged.sample_ratio_p_value >= {{ var('sample_ratio_threshold') }}, true)
            as is_split_as_planned
    from differences_judged
    inner join splits_judged
        on differences_judged.experiment_name = splits_judged.experiment_name

)

select * from experiment_results
