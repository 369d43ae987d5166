{{ read_rules(
    'holidays',
    key=['country', 'holiday_date', 'holiday_name'],
    same=['country', 'holiday_date', 'holiday_name'],
) }}
