{{ read_rules('funnel_steps', key=['funnel_name', 'step_number'], same=['funnel_name']) }}
