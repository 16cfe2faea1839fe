// See ../README.md.
package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/extism/go-pdk"
)

//go:wasmexport echo
func echo() int32 {
	pdk.Output(pdk.Input())
	return 0
}

//go:wasmexport count_vowels
func countVowels() int32 {
	vowels, configured := pdk.GetConfig("vowels")
	if !configured {
		vowels = "aeiouAEIOU"
	}
	count := 0
	for _, letter := range pdk.InputString() {
		if strings.ContainsRune(vowels, letter) {
			count++
		}
	}
	before, _ := strconv.Atoi(string(pdk.GetVar("total")))
	total := before + count
	pdk.SetVar("total", []byte(strconv.Itoa(total)))
	pdk.OutputString(fmt.Sprintf(`{"count":%d,"total":%d,"vowels":"%s"}`, count, total, vowels))
	return 0
}

//go:wasmexport many
func many() int32 {
	for i := range 1000 {
		name := fmt.Sprintf("name%d", i%10)
		value := fmt.Sprintf("value %d", i)
		pdk.SetVar(name, []byte(value))
		if string(pdk.GetVar(name)) != value {
			return 1
		}
		if _, found := pdk.GetConfig("absent"); found {
			return 2
		}
		if language, _ := pdk.GetConfig("language"); language != "de" {
			return 3
		}
		pdk.Log(pdk.LogDebug, value)
		pdk.RemoveVar(name)
		if pdk.GetVar(name) != nil {
			return 4
		}
	}
	pdk.OutputString("done")
	return 0
}

//go:wasmexport talk
func talk() int32 {
	text := pdk.InputString()
	pdk.Log(pdk.LogDebug, text)
	pdk.Log(pdk.LogInfo, text)
	pdk.Log(pdk.LogWarn, text)
	pdk.Log(pdk.LogError, text)
	return 0
}

//go:wasmexport fail
func fail() int32 {
	pdk.SetError(errors.New(pdk.InputString()))
	return 1
}

//go:wasmexport fetch
func fetch() int32 {
	request := pdk.NewHTTPRequest(pdk.MethodPost, pdk.InputString())
	request.SetHeader("x-test", "yes").SetBody([]byte("hello"))
	answer := request.Send()
	header := answer.Headers()["x-answer"]
	pdk.OutputString(fmt.Sprintf("%d %s %s", answer.Status(), header, answer.Body()))
	return 0
}

func main() {}
