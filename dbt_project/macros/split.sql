{#-
  The split of an app, from its sha256 alone: 70 % train, 15 % validation, 15 % test. The md5 of salt and sha256 is held
  against 0.70 and 0.85 of its range, as text: no engine reads 128 bits as a number, all of them compare text alike. An app
  that was measured on both devices is in the same split on both.
-#}
{% macro split_of(sha256) -%}
  {%- set digest = md5_hex("concat('" ~ var('split_version') ~ "', ':', coalesce(" ~ sha256 ~ ", ''))") -%}
  case
      when {{ digest }} < 'b3333333333333333333333333333333' then 'train'
      when {{ digest }} < 'd9999999999999999999999999999999' then 'validation'
      else 'test'
    end
{%- endmacro %}
