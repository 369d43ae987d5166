{{ read_rules('match_rules', key=['field', 'agreement'], same=['field']) }}
