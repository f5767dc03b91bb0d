// Package vectors finds the repository's test vectors for the tests of this module.
package vectors

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Folder returns the path of a folder of test/vectors. It skips the test when the module is used
// without its repository.
func Folder(t testing.TB, name string) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	folder := filepath.Join(filepath.Dir(file), "../../../../test/vectors", name)
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("skipped: there is no test/vectors/%s beside this module", name)
	}
	return folder
}

// Files returns the files of a folder of test/vectors whose names match.
func Files(t testing.TB, folder, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Folder(t, folder), pattern))
	if err != nil || len(files) == 0 {
		t.Skipf("skipped: test/vectors/%s has no files", folder)
	}
	return files
}

// Read reads a JSON file.
func Read(t testing.TB, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// Lines reads a file of JSON values, one a line, and calls each with every line.
func Lines(t testing.TB, file string, each func(line []byte)) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.Split(text, []byte("\n")) {
		if len(line) > 0 {
			each(line)
		}
	}
}
