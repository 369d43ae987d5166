{{ read_rules('rfm_segments', key='rfm_segment') }}
