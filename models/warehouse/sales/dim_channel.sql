with channels as (

    select * from {{ ref('channels') }}

),

known_channels as (

    select
        channel,
        channel_name,
        is_digital
    from channels

),

unknown_channel as (

    select
        {{ unknown_code() }} as channel,
        'Not recorded' as channel_name,
        null as is_digital

),

dim_channel as (

    select * from known_channels
    union all
    select * from unknown_channel

)

select * from dim_channel
