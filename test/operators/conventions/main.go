// Reads {"peer": …, "cluster": …} as YAML, strictly, and writes what the operator makes of them as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/bsv-blockchain/teranode-operator/api/v1alpha1"
	"github.com/bsv-blockchain/teranode-operator/internal/controller"
)

type made struct {
	Deployment *appsv1.Deployment `json:"deployment"`
	Service    *corev1.Service    `json:"service"`
}

func run() error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var asked struct {
		Peer    *v1alpha1.Peer    `json:"peer"`
		Cluster *v1alpha1.Cluster `json:"cluster,omitempty"`
	}
	if err := yaml.UnmarshalStrict(text, &asked); err != nil {
		return err
	}
	deployment, service, err := controller.MadeOf(asked.Peer, asked.Cluster)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(made{deployment, service})
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
