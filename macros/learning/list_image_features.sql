{# The columns of image_features that a model of categories reads. #}
{% macro list_image_features() -%}
    {{ return([
        'width', 'height', 'aspect_ratio', 'mean_red', 'mean_green', 'mean_blue', 'brightness', 'contrast',
        'edge_energy', 'sharpness', 'dominant_colour_share',
    ]) }}
{%- endmacro %}
