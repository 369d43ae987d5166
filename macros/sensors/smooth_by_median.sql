{% macro smooth_by_median(value, at_us, longest_us, over, reach=2, ahead=true) -%}
    {%- set values = [value] -%}
    {%- for place in range(1, reach + 1) -%}
        {%- for look in ['lag', 'lead'] if ahead or look == 'lag' -%}
            {%- set neighbour -%}
                case
                    when abs({{ look }}({{ at_us }}, {{ place }}) over {{ over }} - {{ at_us }}) <= {{ longest_us }}
                        then {{ look }}({{ value }}, {{ place }}) over {{ over }}
                end
            {%- endset -%}
            {%- do values.append(neighbour) -%}
        {%- endfor -%}
    {%- endfor -%}
    case when {{ value }} is not null then {{ take_median(values) }} end
{%- endmacro %}
