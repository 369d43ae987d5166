-- The participants of each experiment, and the planted uplift: the number of additional orders
-- within the window, per 1,000 treated customers.
select
    experiments.experiment_name,
    if(people.is_treated, experiments.treatment, experiments.control) as variant,
    people.is_treated as is_treatment,
    if(people.is_treated, experiments.uplift_permille, 0) as uplift_permille,
    experiments.window_days,
    count(*) filter (not people.is_broken) as assigned_count,
    count(*) filter (people.is_never_exposed) as unexposed_count,
    count(*) filter (
        people.is_contaminated and is_shown(day_of(people.amended_at))
    ) as contaminated_count,
    count(*) filter (people.is_removed and is_shown(day_of(people.amended_at))) as removed_count,
    count(response_orders.order_number) as response_order_count
from experiments
inner join experiment_customers as people
    on experiments.experiment_number = people.experiment_number
left join response_orders
    on
        people.experiment_number = response_orders.experiment_number
        and people.customer_number = response_orders.customer_number
where is_shown(people.assigned_day_number)
group by all
order by all;
