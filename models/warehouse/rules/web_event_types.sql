{{ read_rules('web_event_types', key='event_type', same=['event_type']) }}
