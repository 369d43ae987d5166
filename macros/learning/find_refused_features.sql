{#
    Why features may not train: identifiers let a model learn rows by heart, personal data may not decide on people, and
    a view of today knows what came after a label of last year. Label models may look back, so what they read is free.
#}
{% macro find_refused_features(trained, features, allow={}) -%}
    {%- set personal, today, findings = {}, {}, [] -%}
    {%- for node in graph.nodes.values() if node.resource_type in ['model', 'seed', 'snapshot'] -%}
        {%- for column in node.columns.values() -%}
            {%- set class = column.config.meta.get('pii') or column.config.meta.get('phi') or 'none' -%}
            {%- if class != 'none' -%}
                {%- do personal.update({column.name: class}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for name in features if name not in allow -%}
        {%- if name in personal -%}
            {%- do findings.append([name, 'it is personal: ' ~ personal[name]]) -%}
        {%- elif modules.re.search('(^|_)(id|uuid|key|hash|sha256)$', name) -%}
            {%- do findings.append([name, 'it is an identifier, so a model would learn rows by heart']) -%}
        {%- elif features[name].startswith(('date', 'time')) -%}
            {%- do findings.append([name, 'it is a time; take the duration up to the time of the row']) -%}
        {%- elif features[name].endswith(']') or features[name].startswith(('map', 'struct', 'decimal')) -%}
            {%- do findings.append([name, 'its type is ' ~ features[name] ~ ', which no library takes as it is']) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set waiting, seen = [trained.unique_id], [] -%}
    {%- for step in range(graph.nodes | length) if waiting -%}
        {%- set unique_id = waiting.pop() -%}
        {%- set node = graph.nodes.get(unique_id) -%}
        {%- if node and unique_id not in seen and not node.config.meta.get('label') -%}
            {%- do seen.append(unique_id) -%}
            {%- if node.config.meta.get('view') == 'today' and node.name not in allow -%}
                {%- do findings.append([node.name, 'it shows the present, which knows what came after the label']) -%}
            {%- elif unique_id == trained.unique_id or node.name.startswith('int_') -%}
                {%- do waiting.extend(node.depends_on.nodes) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(findings) }}
{%- endmacro %}
