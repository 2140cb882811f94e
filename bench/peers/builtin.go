package peers

import (
	"embed"
	"fmt"
)

//go:embed recipes/*.yaml
var recipes embed.FS

// Builtin returns the recipes that come with the program, by file name.
func Builtin() ([]*Recipe, error) {
	entries, err := recipes.ReadDir("recipes")
	if err != nil {
		return nil, fmt.Errorf("built-in recipes: %w", err)
	}
	var all []*Recipe
	for _, e := range entries {
		text, err := recipes.ReadFile("recipes/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("built-in recipes: %w", err)
		}
		some, err := Parse("recipes/"+e.Name(), text)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}
