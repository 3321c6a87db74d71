// Renders the templates of a chart as Helm does: Go's own text/template with the functions of sprig, and those that Helm adds.
//
// It reads JSON from stdin ({"chart": …, "values": …, "release": …, "files": {path: text}, "templates": {path: text}}) and
// writes {path: text} to stdout, or a template's error to stderr. Merging and checking of values is left to the caller.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

type chart struct {
	Chart     map[string]interface{}
	Values    map[string]interface{}
	Release   map[string]interface{}
	Files     files
	Templates map[string]string
}

type files map[string]string

func (f files) Get(name string) string { return f[name] }

func (f files) Glob(pattern string) files {
	found := files{}
	for name, text := range f {
		if matched, _ := path.Match(pattern, name); matched {
			found[name] = text
		}
	}
	return found
}

func toYaml(value interface{}) string {
	var text strings.Builder
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(value); err != nil {
		return ""
	}
	return strings.TrimSuffix(text.String(), "\n")
}

func functions(all *template.Template) template.FuncMap {
	named := sprig.TxtFuncMap()
	// Helm takes these away: a template must not depend on the machine that renders it.
	delete(named, "env")
	delete(named, "expandenv")
	named["toYaml"] = toYaml
	named["include"] = func(name string, data interface{}) (string, error) {
		var text strings.Builder
		err := all.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	named["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, fmt.Errorf("%s", message)
		}
		return value, nil
	}
	named["fail"] = func(message string) (string, error) { return "", fmt.Errorf("%s", message) }
	return named
}

func render(given chart) (map[string]string, error) {
	all := template.New("chart").Option("missingkey=zero")
	all.Funcs(functions(all))
	for name, text := range given.Templates {
		if _, err := all.New(name).Parse(text); err != nil {
			return nil, err
		}
	}
	data := map[string]interface{}{
		"Chart": given.Chart, "Values": given.Values, "Release": given.Release, "Files": given.Files,
	}
	rendered := map[string]string{}
	for name := range given.Templates {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		var text strings.Builder
		if err := all.ExecuteTemplate(&text, name, data); err != nil {
			return nil, err
		}
		rendered[name] = strings.ReplaceAll(text.String(), "<no value>", "")
	}
	return rendered, nil
}

func main() {
	var given chart
	bytes, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = json.Unmarshal(bytes, &given)
	}
	var rendered map[string]string
	if err == nil {
		rendered, err = render(given)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(rendered)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
