{# The columns of review_text_features that a model of sentiment reads: no stars, which are the label. #}
{% macro list_text_features() -%}
    {{ return([
        'character_count', 'word_count', 'distinct_word_count', 'sentence_count', 'exclamation_share',
        'upper_case_share', 'positive_word_count', 'negative_word_count', 'sentiment_score',
    ]) }}
{%- endmacro %}
