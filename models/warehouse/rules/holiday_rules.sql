{{ read_rules('holiday_rules', key=['country', 'holiday_name'], same=['country']) }}
