with channels as (

    select * from {{ ref('channels') }}

),

dim_channel as (

    {{ append_unknown_member(
        'channels',
        columns=['channel', 'channel_name', 'is_digital'],
        values={'channel': unknown_code(), 'channel_name': "'Not recorded'"},
    ) }}

)

select * from dim_channel
