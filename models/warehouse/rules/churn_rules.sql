{{ read_rules('churn_rules', key='churn_state') }}
