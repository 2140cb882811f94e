package report

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/result"
)

var shots = flag.String("shots", "", "also write the pages and their screenshots to this `directory`")

//go:embed inspect.js
var inspection string

// view is how a page is looked at.
type view struct {
	width  int
	scheme string // of prefers-color-scheme, or print
}

// 718 is A4 between its margins.
var views = []view{{1280, "light"}, {1280, "dark"}, {768, "light"}, {390, "light"}, {390, "dark"}, {718, "print"}}

// seen is what a browser shows of a page.
type seen struct {
	Wrong  []string `json:"wrong"`
	Plots  []string `json:"plots"` // classes of the figures, in order
	Height int      `json:"height"`
}

// opened is a file that was opened.
type opened struct {
	*browser
	url, target, session string
}

// open loads a file.
func (b *browser) open(ctx context.Context, file string) (*opened, error) {
	p := &opened{browser: b, url: "file://" + file}
	var target struct {
		ID string `json:"targetId"`
	}
	if err := b.call(ctx, "", "Target.createTarget", args{"url": "about:blank"}, &target); err != nil {
		return nil, err
	}
	var attached struct {
		Session string `json:"sessionId"`
	}
	if err := b.call(ctx, "", "Target.attachToTarget", args{"targetId": target.ID, "flatten": true}, &attached); err != nil {
		return nil, err
	}
	p.target, p.session = target.ID, attached.Session
	for _, method := range []string{"Page.enable", "Runtime.enable", "Log.enable", "Network.enable"} {
		if err := b.call(ctx, p.session, method, args{}, nil); err != nil {
			return nil, err
		}
	}
	if err := b.call(ctx, p.session, "Page.navigate", args{"url": p.url}, nil); err != nil {
		return nil, err
	}
	_, err := b.await(ctx, p.session, "Page.loadEventFired")
	return p, err
}

func (p *opened) close(ctx context.Context) error {
	return p.call(ctx, "", "Target.closeTarget", args{"targetId": p.target}, nil)
}

// look inspects the page in a view. Errors on the console and requests for
// anything but the file, up to now, are wrong too.
func (p *opened) look(ctx context.Context, v view, screenshot string) (seen, error) {
	media, scheme := "screen", v.scheme
	if v.scheme == "print" {
		media, scheme = "print", "dark" // paper is white all the same
	}
	if err := p.call(ctx, p.session, "Emulation.setDeviceMetricsOverride",
		args{"width": v.width, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil); err != nil {
		return seen{}, err
	}
	if err := p.call(ctx, p.session, "Emulation.setEmulatedMedia",
		args{"media": media, "features": []any{args{"name": "prefers-color-scheme", "value": scheme}}}, nil); err != nil {
		return seen{}, err
	}
	// The page may come to know of it later.
	ready := fmt.Sprintf("innerWidth === %d && matchMedia('%s and (prefers-color-scheme: %s)').matches", v.width, media, scheme)
	for is := false; !is; {
		if err := p.evaluate(ctx, ready, &is); err != nil {
			return seen{}, err
		}
	}
	var found seen
	if err := p.evaluate(ctx, inspection, &found); err != nil {
		return seen{}, err
	}
	events, err := p.await(ctx, p.session, "Page.loadEventFired")
	if err != nil {
		return seen{}, err
	}
	found.Wrong = append(found.Wrong, complaints(events, p.url)...)
	if screenshot == "" {
		return found, nil
	}
	return found, p.screenshot(ctx, v.width, found.Height, screenshot)
}

// evaluate runs an expression in the page.
func (p *opened) evaluate(ctx context.Context, expression string, out any) error {
	var answer struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception json.RawMessage `json:"exceptionDetails"`
	}
	if err := p.call(ctx, p.session, "Runtime.evaluate", args{"expression": expression, "returnByValue": true}, &answer); err != nil {
		return err
	}
	if answer.Exception != nil {
		return fmt.Errorf("in the page: %s", answer.Exception)
	}
	return json.Unmarshal(answer.Result.Value, out)
}

// complaints are the errors and the requests among a page's events.
func complaints(events []message, url string) (wrong []string) {
	for _, e := range events {
		var p struct {
			Type  string `json:"type"`
			Entry struct {
				Level string `json:"level"`
				Text  string `json:"text"`
			} `json:"entry"`
			Request struct {
				URL string `json:"url"`
			} `json:"request"`
		}
		if err := json.Unmarshal(e.Params, &p); err != nil {
			wrong = append(wrong, err.Error())
		}
		switch {
		case e.Method == "Runtime.exceptionThrown", e.Method == "Runtime.consoleAPICalled" && p.Type == "error":
			wrong = append(wrong, "console: "+string(e.Params))
		case e.Method == "Log.entryAdded" && p.Entry.Level == "error":
			wrong = append(wrong, "console: "+p.Entry.Text)
		case e.Method == "Network.requestWillBeSent" && p.Request.URL != url && p.Request.URL != "data:,":
			wrong = append(wrong, "request: "+p.Request.URL)
		}
	}
	return wrong
}

func (p *opened) screenshot(ctx context.Context, width, height int, file string) error {
	var image struct {
		Data []byte `json:"data"`
	}
	err := p.call(ctx, p.session, "Page.captureScreenshot", args{"captureBeyondViewport": true,
		"clip": args{"x": 0, "y": 0, "width": width, "height": height, "scale": 1}}, &image)
	if err != nil {
		return err
	}
	return os.WriteFile(file, image.Data, 0o644)
}

// times repeats a class.
func times(n int, kind string) []string { return slices.Repeat([]string{kind}, n) }

func TestBrowser(t *testing.T) {
	b := startBrowser(t)
	dir := *shots
	if dir == "" {
		dir = t.TempDir()
	}
	for _, c := range []struct {
		name  string
		runs  []*result.Run
		plots []string
	}{
		{"dhcp", []*result.Run{dhcpRun()}, []string{"series", "curve"}},
		{"compare", []*result.Run{compareRun()}, slices.Concat(times(4, "bars"), []string{"series", "curve"}, times(5, "waterfall"))},
		{"several", []*result.Run{stormRun(), dhcpRun(), rampRun()}, slices.Concat(
			times(11, "bars"), []string{"series", "curve", "curve"}, times(3, "waterfall"),
			[]string{"series", "curve"},
			times(2, "bars"), []string{"curve"})},
		{"hostile", []*result.Run{hostileRun()}, slices.Concat(times(7, "bars"), []string{"series", "curve"}, times(2, "waterfall"))},
		{"empty", []*result.Run{{}}, []string{}},
		{"none", nil, []string{}},
	} {
		file := filepath.Join(dir, c.name+".html")
		if err := os.WriteFile(file, []byte(render(t, c.runs...)), 0o644); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		p, err := b.open(ctx, file)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, v := range views {
			screenshot := ""
			if *shots != "" {
				screenshot = filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", c.name, v.width, v.scheme))
			}
			got, err := p.look(ctx, v, screenshot)
			if err != nil {
				t.Fatalf("%s at %d %s: %v", c.name, v.width, v.scheme, err)
			}
			for _, wrong := range got.Wrong {
				t.Errorf("%s at %d %s: %s", c.name, v.width, v.scheme, wrong)
			}
			if !slices.Equal(got.Plots, c.plots) {
				t.Errorf("%s at %d %s: plots %q, want %q", c.name, v.width, v.scheme, got.Plots, c.plots)
			}
		}
		if err := p.close(ctx); err != nil {
			t.Error(err)
		}
	}
}

// The inspection finds what it is there to find.
func TestInspection(t *testing.T) {
	b := startBrowser(t)
	const bad = `<!DOCTYPE html><style>:root{--page:#fff;--card:#fff;--ink:#eee}</style><style>i{}</style>
<div style="width:2000px">wide</div><img src="gone.png"><script>window.owned = 1; console.error("hello"); throw new Error("oops")</script>
<figure class="bars"><h4>A plot</h4><svg class="plot" viewBox="0 0 1000 100" width="300" height="30"><title>t</title>
<rect width="0" height="9"/><text x="10" y="50">first</text><text x="12" y="50">second</text><text x="990" y="50">outside</text></svg></figure>
<figure><h4>None</h4></figure>`
	file := filepath.Join(t.TempDir(), "bad.html")
	if err := os.WriteFile(file, []byte(bad), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, err := b.open(ctx, file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.look(ctx, view{390, "light"}, "")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(got.Wrong, "\n")
	for _, want := range []string{"wide, the window", "a script of the wire ran", "scripts or images", "other styles", "None: 0 images",
		"an empty image", "no words", `"outside" is cut off`, `"first" and "second" overlap`, "letters of 3", "--ink on --card",
		"hello", "oops", "request: file:///", "gone.png"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q was not found; found:\n%s", want, all)
		}
	}
}
