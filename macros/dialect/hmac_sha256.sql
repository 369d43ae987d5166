{% macro hmac_sha256(key, message) -%}
    {{ return(adapter.dispatch('hmac_sha256')(key, message)) }}
{%- endmacro %}

{# RFC 2104: a key longer than the hash's block of 64 bytes is hashed first, a shorter one padded. #}
{% macro default__hmac_sha256(key, message) -%}
    {%- set short_key -%}
        case when octet_length({{ key }}) > 64 then unhex(sha256({{ key }})) else {{ key }} end
    {%- endset -%}
    {%- set block -%}
        cast({{ short_key }} || repeat(unhex('00'), 64 - octet_length({{ short_key }})) as bit)
    {%- endset -%}
    {%- set inner_pad -%}
        cast(xor({{ block }}, cast(repeat(unhex('36'), 64) as bit)) as blob)
    {%- endset -%}
    {%- set outer_pad -%}
        cast(xor({{ block }}, cast(repeat(unhex('5c'), 64) as bit)) as blob)
    {%- endset -%}
    sha256({{ outer_pad }} || unhex(sha256({{ inner_pad }} || {{ message }})))
{%- endmacro %}
