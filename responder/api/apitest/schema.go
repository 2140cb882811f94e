package apitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"
)

// keywords are those of JSON Schema that Check knows. A schema with another one
// is an error: it would say something that is not checked.
var keywords = map[string]bool{"$ref": true, "description": true, "examples": true, "default": true, "type": true, "properties": true,
	"required": true, "additionalProperties": true, "propertyNames": true, "maxProperties": true, "items": true, "maxItems": true,
	"enum": true, "format": true, "maxLength": true, "minimum": true, "maximum": true, "oneOf": true}

// Check holds a JSON text against a schema. A property that the schema does not
// have is a mistake also where the schema is open: readers must take what they
// do not know, but what we write is to be in the document.
func (d *Document) Check(schema map[string]any, text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return err
	}
	return d.check(schema, v, "$")
}

func (d *Document) check(schema map[string]any, v any, at string) error {
	for word := range schema {
		if !keywords[word] {
			return fmt.Errorf("%s: the schema has %q, which is not checked", at, word)
		}
	}
	if ref, ok := schema["$ref"].(string); ok {
		return d.check(d.find(ref), v, at)
	}
	if all, ok := schema["oneOf"].([]any); ok {
		return d.oneOf(all, v, at)
	}
	if words, ok := schema["enum"].([]any); ok && !slices.Contains(words, v) {
		return fmt.Errorf("%s: %v is none of %v", at, v, words)
	}
	switch kind := schema["type"]; v := v.(type) {
	case map[string]any:
		if kind == "object" {
			return d.object(schema, v, at)
		}
	case []any:
		if kind == "array" {
			return d.array(schema, v, at)
		}
	case string:
		if kind == "string" {
			return checkText(schema, v, at)
		}
	case json.Number:
		if kind == "integer" {
			return checkInteger(schema, v, at)
		}
	case bool:
		if kind == "boolean" {
			return nil
		}
	}
	return fmt.Errorf("%s: %T is no %v", at, v, schema["type"])
}

func (d *Document) oneOf(all []any, v any, at string) error {
	n := 0
	var errs []error
	for _, one := range all {
		if err := d.check(one.(map[string]any), v, at); err != nil {
			errs = append(errs, err)
		} else {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("%s: %d of the schema's %d alternatives hold: %w", at, n, len(all), errors.Join(errs...))
	}
	return nil
}

func (d *Document) object(schema, v map[string]any, at string) error {
	props, _ := schema["properties"].(map[string]any)
	more, _ := schema["additionalProperties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			return fmt.Errorf("%s: has no %s", at, name)
		}
	}
	if most, ok := schema["maxProperties"].(float64); ok && len(v) > int(most) {
		return fmt.Errorf("%s: has %d properties", at, len(v))
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		where := at + "." + name
		if names, ok := schema["propertyNames"].(map[string]any); ok {
			if words, ok := names["enum"].([]any); ok && !slices.Contains(words, any(name)) {
				return fmt.Errorf("%s: is none of %v", where, words)
			}
		}
		prop, ok := props[name].(map[string]any)
		switch {
		case ok:
		case more != nil:
			prop = more
		case props == nil: // any object
			continue
		default:
			return fmt.Errorf("%s: is not in the schema", where)
		}
		if err := d.check(prop, v[name], where); err != nil {
			return err
		}
	}
	return nil
}

func (d *Document) array(schema map[string]any, v []any, at string) error {
	if most, ok := schema["maxItems"].(float64); ok && len(v) > int(most) {
		return fmt.Errorf("%s: has %d items", at, len(v))
	}
	for i, item := range v {
		if err := d.check(schema["items"].(map[string]any), item, fmt.Sprintf("%s[%d]", at, i)); err != nil {
			return err
		}
	}
	return nil
}

func checkText(schema map[string]any, v, at string) error {
	if most, ok := schema["maxLength"].(float64); ok && utf8.RuneCountInString(v) > int(most) {
		return fmt.Errorf("%s: has %d characters", at, utf8.RuneCountInString(v))
	}
	switch schema["format"] {
	case nil:
	case "date-time":
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	default:
		return fmt.Errorf("%s: format %v is not checked", at, schema["format"])
	}
	return nil
}

func checkInteger(schema map[string]any, v json.Number, at string) error {
	n, err := v.Int64()
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	if least, ok := schema["minimum"].(float64); ok && float64(n) < least {
		return fmt.Errorf("%s: %d is too small", at, n)
	}
	if most, ok := schema["maximum"].(float64); ok && float64(n) > most {
		return fmt.Errorf("%s: %d is too large", at, n)
	}
	return nil
}
