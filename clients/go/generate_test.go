package leanagg_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGeneratedCodeIsCurrent generates the code of the proto again and compares it. It needs buf from
// the repository's node_modules and both plugins on the PATH, in the versions of buf.gen.yaml.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	buf, err := filepath.Abs("../../node_modules/.bin/buf")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(buf); err != nil {
		t.Skip("skipped: there is no node_modules/.bin/buf; run npm ci in the repository")
	}
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-connect-go"} {
		if _, err := exec.LookPath(plugin); err != nil {
			t.Skipf("skipped: there is no %s on the PATH; buf.gen.yaml says how to install it", plugin)
		}
	}
	out := t.TempDir()
	generate := exec.Command(buf, "generate", "proto", "--template", "clients/go/buf.gen.yaml",
		"--path", "proto/lean/aggregator/v1", "--output", out)
	generate.Dir = "../.."
	if text, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for _, file := range []string{
		"gen/lean/aggregator/v1/aggregator.pb.go",
		"gen/lean/aggregator/v1/aggregatorv1connect/aggregator.connect.go",
	} {
		want, err := os.ReadFile(filepath.Join(out, "clients/go", file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the proto generates; run the command in buf.gen.yaml", file)
		}
	}
}
