{# Growth at the monthly rate is one plus it; without interest the formula is nought by nought. #}
{% macro compute_annuity_balance(principal, annual_rate_pct, term_months, paid_count) -%}
    {%- set growth = '(1 + cast(' ~ annual_rate_pct ~ ' as double) / 1200)' -%}
    {%- set paid = 'least(' ~ paid_count ~ ', ' ~ term_months ~ ')' -%}
    cast(case
        when {{ annual_rate_pct }} = 0
            then
                {{ principal }} * ({{ term_months }} - {{ paid }})
                / cast({{ term_months }} as double)
        else {{ principal }}
            * (power({{ growth }}, {{ term_months }}) - power({{ growth }}, {{ paid }}))
            / (power({{ growth }}, {{ term_months }}) - 1)
    end as decimal(18, 4))
{%- endmacro %}
