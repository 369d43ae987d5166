{#
    The declared groups, each with those of its features that the patterns name. A pattern is a model, a dot, and the
    name of a feature, in which * stands for any text.
#}
{% macro select_features(patterns) -%}
    {%- if not graph.nodes -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ ' uses declared features. A unit test sees no declarations, so it cannot build this model. '
            ~ 'Fix: test the models that the features read; python -m flows features check tests the features.'
        ) -%}
    {%- endif -%}
    {%- set declared = [] -%}
    {%- for pattern in patterns if pattern.split('.')[0] not in declared -%}
        {%- do declared.append(pattern.split('.')[0]) -%}
    {%- endfor -%}
    {%- set selected, taken = [], {} -%}
    {%- for model_name in declared -%}
        {%- set groups = list_feature_groups(model_name) -%}
        {%- set expressions = [] -%}
        {%- for pattern in patterns if pattern.split('.')[0] == model_name -%}
            {%- do expressions.append(match_features(pattern, groups)) -%}
        {%- endfor -%}
        {%- for group in groups -%}
            {%- set chosen = [] -%}
            {%- for value in group['values']
                if modules.re.fullmatch(expressions | join('|'), value.feature) -%}
                {%- if value.feature in taken -%}
                    {%- do exceptions.raise_compiler_error(
                        model.name ~ ' takes the feature ' ~ value.feature ~ ' from ' ~ taken[value.feature]
                        ~ ' and from ' ~ model_name ~ '. Fix: give one of the two groups another name.'
                    ) -%}
                {%- endif -%}
                {%- do taken.update({value.feature: model_name}) -%}
                {%- do chosen.append(value) -%}
            {%- endfor -%}
            {%- if chosen -%}
                {%- do group.update({'values': chosen}) -%}
                {%- do selected.append(group) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(selected) }}
{%- endmacro %}
