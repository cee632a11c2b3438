{#- Fails if the model holds fewer rows than `rows`. -#}
{% test at_least(model, rows) %}
select count(*) as present
from {{ model }}
having count(*) < {{ rows }}
{% endtest %}
