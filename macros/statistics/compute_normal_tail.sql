{#- Hart's rational approximation 5666 (Computer Approximations, 1968), in the form of G. West, "Better approximations to
    cumulative normal functions", Wilmott 2005. -#}
{% macro compute_normal_tail(z) -%}
    {%- set size = 'abs(' ~ z ~ ')' -%}
    {%- set above = [
        0.0352624965998911, 0.700383064443688, 6.37396220353165, 33.912866078383, 112.079291497871,
        221.213596169931, 220.206867912376
    ] -%}
    {%- set below = [
        0.0883883476483184, 1.75566716318264, 16.064177579207, 86.7807322029461, 296.564248779674,
        637.333633378831, 793.826512519948, 440.413735824752
    ] -%}
    case
        when {{ size }} > 37 then 0e0
        when {{ size }} < 7.07106781186547e0
            then
                exp(-{{ size }} * {{ size }} / 2e0)
                * {{ expand_polynomial(above, size) }}
                / {{ expand_polynomial(below, size) }}
        else
            exp(-{{ size }} * {{ size }} / 2e0) / 2.506628274631e0 / (
                {{ size }} + 1e0 / ({{ size }} + 2e0 / (
                    {{ size }} + 3e0 / ({{ size }} + 4e0 / ({{ size }} + 0.65e0))
                ))
            )
    end
{%- endmacro %}

{% macro expand_polynomial(coefficients, variable) -%}
    {%- set nested = namespace(sql=coefficients[0] ~ 'e0') -%}
    {%- for coefficient in coefficients[1:] -%}
        {%- set nested.sql = '(' ~ nested.sql ~ ' * ' ~ variable ~ ' + ' ~ coefficient ~ 'e0)' -%}
    {%- endfor -%}
    {{ nested.sql }}
{%- endmacro %}
