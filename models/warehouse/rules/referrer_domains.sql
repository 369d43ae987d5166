{{ read_rules('referrer_domains', key='domain_pattern', same=['domain_pattern']) }}
