{{ read_rules(
    'cold_chain_limits',
    key=['model', 'unit_id', 'quantity'],
    same=['model', 'unit_id', 'quantity'],
) }}
