package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"path/filepath"
	"time"
)

// provider is a small client of KIE, as the first page of its documents shows it.
type provider struct {
	api, files string
	client     *http.Client
}

func newProvider(api, files string) *provider {
	return &provider{api, files, &http.Client{Timeout: 30 * time.Second}}
}

// tooMany is KIE's code for its limits: nothing was charged.
const tooMany = 429

// call makes a request. A request that was refused for a limit is made again a moment
// later, in both modes: that is no risk.
func (p *provider) call(ctx context.Context, method, address, key, contentType string, body []byte, into any) error {
	for {
		code, answer, err := p.once(ctx, method, address, key, contentType, body)
		switch {
		case err != nil:
			return err
		case code == http.StatusOK:
			return json.Unmarshal(answer, into)
		case code != tooMany:
			return fmt.Errorf("the provider says %d: %.200s", code, answer)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// once makes one exchange, and gives the code of the answer: that in the body counts,
// where it is another one than that of HTTP.
func (p *provider) once(ctx context.Context, method, address, key, contentType string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("User-Agent", "plain/1.0")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	var envelope struct {
		Code int `json:"code"`
	}
	if json.Unmarshal(answer, &envelope) == nil && envelope.Code != 0 {
		return envelope.Code, answer, nil
	}
	return resp.StatusCode, answer, nil
}

// stage uploads a file, which is free, and gives its address.
func (p *provider) stage(ctx context.Context, key, path string, file []byte) (string, error) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", filepath.Base(path))
	if err == nil {
		_, err = part.Write(file)
	}
	err = errors.Join(err, w.WriteField("uploadPath", "plain"), w.WriteField("fileName", filepath.Base(path)), w.Close())
	if err != nil {
		return "", err
	}
	var out struct {
		Data struct {
			DownloadURL string `json:"downloadUrl"`
			FileURL     string `json:"fileUrl"`
		} `json:"data"`
	}
	if err := p.call(ctx, http.MethodPost, p.files+"/api/file-stream-upload", key, w.FormDataContentType(), form.Bytes(), &out); err != nil {
		return "", err
	}
	if out.Data.DownloadURL != "" {
		return out.Data.DownloadURL, nil
	}
	return out.Data.FileURL, nil
}

// extend is the paid request. It gives the id of the operation.
func (p *provider) extend(ctx context.Context, key, address string) (string, error) {
	body, err := json.Marshal(map[string]any{
		"uploadUrl": address, "defaultParamFlag": true, "instrumental": true, "continueAt": 1, "model": "V5",
		"callBackUrl": "https://example.com/callback", "style": "ambient", "title": "Certified",
	})
	if err != nil {
		return "", err
	}
	var out struct {
		Data struct {
			TaskID string `json:"taskId"`
		} `json:"data"`
	}
	err = p.call(ctx, http.MethodPost, p.api+"/api/v1/generate/upload-extend", key, "application/json", body, &out)
	if err == nil && out.Data.TaskID == "" {
		err = errors.New("the answer has no taskId")
	}
	return out.Data.TaskID, err
}

var errNotReady = errors.New("not ready")

// status asks about an operation: the ids of its clips, or why there are none.
func (p *provider) status(ctx context.Context, key, operation string) (ids []string, reason string, err error) {
	var out struct {
		Data struct {
			Status   string          `json:"status"`
			Response json.RawMessage `json:"response"`
		} `json:"data"`
	}
	if err := p.call(ctx, http.MethodGet, p.api+"/api/v1/generate/record-info?taskId="+url.QueryEscape(operation), key, "", nil, &out); err != nil {
		return nil, "", err
	}
	switch out.Data.Status {
	case "SUCCESS", "CALLBACK_EXCEPTION":
	case "PENDING", "TEXT_SUCCESS", "FIRST_SUCCESS":
		return nil, "", errNotReady
	default:
		return nil, out.Data.Status, nil
	}
	response := out.Data.Response
	var quoted string
	if json.Unmarshal(response, &quoted) == nil {
		response = json.RawMessage(quoted)
	}
	var made struct {
		Songs []struct {
			ID string `json:"id"`
		} `json:"sunoData"`
	}
	if err := json.Unmarshal(response, &made); err != nil {
		return nil, "", err
	}
	for _, s := range made.Songs {
		ids = append(ids, s.ID)
	}
	return ids, "", nil
}
