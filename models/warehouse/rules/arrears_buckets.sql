{{ read_rules('arrears_buckets', key='arrears_bucket') }}
