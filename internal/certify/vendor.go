package certify

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// vendor is one of the providers that the simulator plays, as far as the oracle
// must know it. It is written from the provider's pages, not from our drivers.
type vendor struct {
	name string
	// paid names the endpoint at which a step is charged; a step that costs nothing
	// is not in it.
	paid map[string]string
	// costly are the paths of the paid requests.
	costly []string
	// revealing are the paths of what can settle an outcome without a callback: the
	// balance and the lists. Evidence "none" closes them.
	revealing []string
	// status is the path at which anybody may ask about an operation, up to its id.
	status string
	// ids reads the clips that an operation ended with.
	ids func(body []byte) ([]string, error)
}

// The steps that may be paid.
const (
	stepUpload = "upload"
	stepExtend = "extend"
)

// vendors are all that can be certified against, in alphabetical order.
func vendors() []vendor {
	family := func(name, credit string) vendor {
		return vendor{
			name: name, paid: map[string]string{stepExtend: name + ".extend"},
			costly:    []string{"/" + name + "/api/v1/generate/upload-extend"},
			revealing: []string{"/" + name + "/api/v1/" + credit},
			status:    "/" + name + "/api/v1/generate/record-info?taskId=", ids: familyIDs,
		}
	}
	return []vendor{
		family("apikley", "chat/credit"),
		family("kie", "chat/credit"),
		{
			name: "kkiai", paid: map[string]string{stepExtend: "kkiai.submit"},
			costly: []string{"/kkiai/suno/submit/music"}, status: "/kkiai/suno/fetch/", ids: kkiaiIDs,
		},
		{
			name: "mountsea", paid: map[string]string{stepUpload: "mountsea.item", stepExtend: "mountsea.generate"},
			costly: []string{"/mountsea/suno/v2/audio/upload/session/item", "/mountsea/suno/v2/generate"},
			revealing: []string{
				"/mountsea-credits/api-user/credits", "/mountsea-credits/api-user/points/search", "/mountsea-credits/api-user/usage/search",
			},
			status: "/mountsea/suno/v2/status?taskId=", ids: mountseaIDs,
		},
		family("sunoapi", "generate/credit"),
	}
}

// vendorNamed finds a vendor.
func vendorNamed(name string) (vendor, error) {
	all := vendors()
	at := slices.IndexFunc(all, func(v vendor) bool { return v.name == name })
	if at >= 0 {
		return all[at], nil
	}
	names := make([]string, len(all))
	for n, v := range all {
		names[n] = v.name
	}
	return vendor{}, fmt.Errorf("provider %q cannot be certified against; there are %s", name, strings.Join(names, ", "))
}

func (v vendor) question(operation string) string { return v.status + url.QueryEscape(operation) }

type clip struct {
	ID string `json:"id"`
}

func idsOf(clips []clip) []string {
	ids := make([]string, len(clips))
	for n, c := range clips {
		ids[n] = c.ID
	}
	return ids
}

// familyIDs reads record-info of KIE and its relatives. Some send the response as
// an object, some as text that holds one.
func familyIDs(body []byte) ([]string, error) {
	var answer struct {
		Data struct {
			Response json.RawMessage `json:"response"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	response := answer.Data.Response
	var quoted string
	if json.Unmarshal(response, &quoted) == nil {
		response = json.RawMessage(quoted)
	}
	var made struct {
		Songs []clip `json:"sunoData"`
	}
	if len(response) > 0 {
		if err := json.Unmarshal(response, &made); err != nil {
			return nil, err
		}
	}
	return idsOf(made.Songs), nil
}

func kkiaiIDs(body []byte) ([]string, error) {
	var answer struct {
		Data struct {
			Data []clip `json:"data"`
		} `json:"data"`
	}
	err := json.Unmarshal(body, &answer)
	return idsOf(answer.Data.Data), err
}

// mountseaIDs reads a status: one object for an upload, a list for a generation.
func mountseaIDs(body []byte) ([]string, error) {
	var answer struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	var clips []clip
	if strings.HasPrefix(string(answer.Data), "[") {
		err := json.Unmarshal(answer.Data, &clips)
		return idsOf(clips), err
	}
	var one clip
	if err := json.Unmarshal(answer.Data, &one); err != nil || one.ID == "" {
		return nil, err
	}
	return []string{one.ID}, nil
}
