{{ read_rules('segment_rules', key='segment') }}
