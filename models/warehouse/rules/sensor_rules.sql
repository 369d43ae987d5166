{{ read_rules(
    'sensor_rules',
    key=['quantity', 'model', 'unit_id'],
    same=['quantity', 'model', 'unit_id'],
) }}
