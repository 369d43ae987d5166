{{ read_rules('chargeback_reasons', key='reason', same=['reason']) }}
