package kie_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/kie"
)

// The signatures were made with another tool:
//
//	printf %s "$id.$seconds" | openssl dgst -sha256 -hmac whsec-0123456789 -binary | base64
const (
	webhookKey = "whsec-0123456789"
	signedID   = "2fac00009f72"
	signedAt   = 1763805600 // 2025-11-22T10:00:00Z
	signature  = "UPbVMB5OYOYNu6zQK3gbDMx9lK0OS64dl2FCBXzCahc="
)

func reader(t *testing.T, c provider.Config) provider.CallbackReader {
	t.Helper()
	_, opener := kie.KIE()
	c.APIKey, c.HTTP = key, &http.Client{}
	d, err := opener(c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	r, ok := d.(provider.CallbackReader)
	if !ok {
		t.Fatal("the driver reads no callbacks, want a provider.CallbackReader")
	}
	return r
}

// complete is the example of KIE's page.
const completeBody = `{"code":200,"msg":"All generated successfully.","data":{"callbackType":"complete","task_id":"2fac00009f72","data":[` +
	`{"id":"e231","audio_url":"https://example.cn/x.mp3","createTime":"2025-01-01 00:00:00","duration":198.44}]}}`

func TestCallbacks(t *testing.T) {
	r := reader(t, provider.Config{})
	cases := []struct {
		name, body string
		want       provider.Callback
	}{
		{"complete", completeBody, provider.Callback{OperationID: "2fac00009f72", Kind: "complete", Done: true}},
		{"text", `{"code":200,"data":{"callbackType":"text","task_id":"a","data":[]}}`, provider.Callback{OperationID: "a", Kind: "text"}},
		{"first", `{"code":200,"data":{"callbackType":"first","task_id":"a","data":[{}]}}`, provider.Callback{OperationID: "a", Kind: "first"}},
		{"error", `{"code":501,"data":{"callbackType":"error","task_id":"a","data":null}}`, provider.Callback{OperationID: "a", Kind: "error", Done: true}},
		{"an error of code 200", `{"code":200,"data":{"callbackType":"error","task_id":"a"}}`, provider.Callback{OperationID: "a", Kind: "error", Done: true}},
		{"a failure without a type of its own", `{"code":413,"data":{"callbackType":"complete","task_id":"a","data":[]}}`, provider.Callback{OperationID: "a", Kind: "complete", Done: true}},
		{"a failure without a type", `{"code":531,"msg":"refunded","data":{"task_id":"a"}}`, provider.Callback{OperationID: "a", Kind: "error", Done: true}},
		{"a failure of the text stage", `{"code":400,"data":{"callbackType":"text","task_id":"a"}}`, provider.Callback{OperationID: "a", Kind: "text", Done: true}},
		{"a code as a string", `{"code":"200","data":{"callbackType":"first","taskId":"a"}}`, provider.Callback{OperationID: "a", Kind: "first"}},
		{"data.taskId", `{"code":200,"data":{"callbackType":"complete","taskId":"b"}}`, provider.Callback{OperationID: "b", Kind: "complete", Done: true}},
		{"task_id", `{"code":500,"task_id":"c","data":null}`, provider.Callback{OperationID: "c", Kind: "error", Done: true}},
		{"taskId", `{"code":500,"taskId":"d","data":"gone"}`, provider.Callback{OperationID: "d", Kind: "error", Done: true}},
		{"the innermost id first", `{"code":200,"task_id":"x","taskId":"y","data":{"taskId":"z","task_id":"a","callbackType":"text"}}`, provider.Callback{OperationID: "a", Kind: "text"}},
		{"the jobs route", `{"code":200,"data":{"taskId":"j","state":"success","resultJson":"{}"}}`, provider.Callback{OperationID: "j", Kind: "success", Done: true}},
		{"the jobs route, failed", `{"code":200,"data":{"taskId":"j","state":"fail"}}`, provider.Callback{OperationID: "j", Kind: "fail", Done: true}},
		{"the jobs route, under way", `{"code":200,"data":{"taskId":"j","state":"generating"}}`, provider.Callback{OperationID: "j", Kind: "generating"}},
		{"a stage that nobody knows", `{"code":200,"data":{"callbackType":"cover","task_id":"a"}}`, provider.Callback{OperationID: "a", Kind: "cover"}},
	}
	// Every code of both pages ends the task.
	for _, code := range []string{"400", "408", "413", "451", "500", "501", "531", "999"} {
		cases = append(cases, struct {
			name, body string
			want       provider.Callback
		}{"code " + code, `{"code":` + code + `,"data":{"task_id":"a","data":null}}`, provider.Callback{OperationID: "a", Kind: "error", Done: true}})
	}
	for _, tc := range cases {
		got, err := r.ReadCallback(http.Header{}, []byte(tc.body), time.Unix(signedAt, 0))
		if diff := cmp.Diff(&tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", tc.name, err, diff)
		}
	}
	for _, body := range []string{
		``, `null`, `{}`, `[]`, `"text"`, `{"code":200}`, `<html>`, `{"code":200,"data":{"task_id":"a"`, `{"task_id":"a"}`, `{"data":{"task_id":"a"}}`,
		`{"code":200,"data":{"callbackType":"complete","task_id":""}}`, `{"code":200,"data":{"callbackType":"complete","task_id":{"x":1}}}`, `{"code":200,"data":[]}`,
	} {
		if got, err := r.ReadCallback(http.Header{}, []byte(body), time.Unix(signedAt, 0)); fault.CodeOf(err) != fault.Malformed {
			t.Errorf("body %q: %+v, %v; want malformed", body, got, err)
		}
	}
}

func TestSignedCallbacks(t *testing.T) {
	const mine = signature
	cases := []struct {
		name             string
		window           time.Duration
		stamp, signature string
		body             string
		after            time.Duration
		want             fault.Code
	}{
		{"right", 0, "1763805600", mine, completeBody, 0, ""},
		{"another body for the same task", 0, "1763805600", mine, `{"code":400,"data":{"task_id":"2fac00009f72"}}`, 0, ""},
		{"the last repetition, 21 minutes and four timeouts later", 0, "1763805600", mine, completeBody, 22 * time.Minute, ""},
		{"the end of the window", 0, "1763805600", mine, completeBody, 25 * time.Minute, ""},
		{"a second later", 0, "1763805600", mine, completeBody, 25*time.Minute + time.Second, "denied"},
		{"our clock behind", 0, "1763805600", mine, completeBody, -5 * time.Minute, ""},
		{"our clock far behind", 0, "1763805600", mine, completeBody, -5*time.Minute - time.Second, "denied"},
		{"within a window of ours", time.Minute, "1763805600", mine, completeBody, time.Minute, ""},
		{"outside of a window of ours", time.Minute, "1763805600", mine, completeBody, 61 * time.Second, "denied"},
		{"before a window of ours", time.Minute, "1763805600", mine, completeBody, -61 * time.Second, "denied"},
		{"no signature", 0, "1763805600", "", completeBody, 0, "denied"},
		{"no timestamp", 0, "", mine, completeBody, 0, "denied"},
		{"another timestamp", 0, "1763805601", mine, completeBody, 0, "denied"},
		{"a timestamp in words", 0, "now", mine, completeBody, 0, "denied"},
		{"not base64", 0, "1763805600", "%%%", completeBody, 0, "denied"},
		{"the beginning of the signature", 0, "1763805600", mine[:20], completeBody, 0, "denied"},
		{"hexadecimal", 0, "1763805600", "50f6d5301e4e60e60dbbacd02b781b0ccc7d94ad0e4bae1d976142057cc26a17", completeBody, 0, "denied"},
		{"another key", 0, "1763805600", "S+DZmHIYM7aKUcDeiOvZEaxCV7bpdgmR5Njoqu9VDZU=", completeBody, 0, "denied"},
		{"another task", 0, "1763805600", mine, strings.Replace(completeBody, "2fac", "2fad", 1), 0, "denied"},
		{"the signed id elsewhere", 0, "1763805600", mine, `{"code":200,"task_id":"2fac00009f72","data":{"callbackType":"complete","task_id":"other"}}`, 0, "denied"},
		{"no callback at all", 0, "1763805600", mine, `{"code":200}`, 0, "malformed"},
	}
	for _, tc := range cases {
		r := reader(t, provider.Config{WebhookKey: webhookKey, ReplayWindow: tc.window})
		header := http.Header{}
		header.Set("X-Webhook-Timestamp", tc.stamp)
		header.Set("X-Webhook-Signature", tc.signature)
		got, err := r.ReadCallback(header, []byte(tc.body), time.Unix(signedAt, 0).Add(tc.after))
		if fault.CodeOf(err) != tc.want || (err == nil) != (got != nil && got.Signed && got.OperationID == signedID) {
			t.Errorf("%s: %+v, %v; want %q", tc.name, got, err, tc.want)
		}
		if err != nil && (strings.Contains(err.Error(), webhookKey) || strings.Contains(err.Error(), mine) || !strings.HasPrefix(err.Error(), "kie.ReadCallback: ")) {
			t.Errorf("%s: %v, want the place, and neither key nor signature", tc.name, err)
		}
	}
	// Without a key of ours a signature proves nothing.
	header := http.Header{"X-Webhook-Timestamp": {"1763805600"}, "X-Webhook-Signature": {mine}}
	got, err := reader(t, provider.Config{}).ReadCallback(header, []byte(completeBody), time.Unix(signedAt, 0))
	if err != nil || got.Signed {
		t.Errorf("signed, without a key: %+v, %v; want it read and not called signed", got, err)
	}
}
