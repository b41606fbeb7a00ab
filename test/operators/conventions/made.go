// Part of the test of the manifests: laid into the operator's package controller, it says what the operator makes of a Peer resource.
package controller

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	teranodev1alpha1 "github.com/bsv-blockchain/teranode-operator/api/v1alpha1"
	"github.com/bsv-blockchain/teranode-operator/internal/utils"
)

// one is a cluster's API as far as the operator asks it here: it has a Cluster, or none.
type one struct {
	client.Client
	cluster *teranodev1alpha1.Cluster
}

func (o one) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if cluster, ok := into.(*teranodev1alpha1.Cluster); ok && o.cluster != nil {
		o.cluster.DeepCopyInto(cluster)
	}
	return nil
}

// MadeOf is the Deployment and the Service that the operator makes of a Peer, which the Cluster owns where there is one.
func MadeOf(peer *teranodev1alpha1.Peer, cluster *teranodev1alpha1.Cluster) (*appsv1.Deployment, *corev1.Service, error) {
	scheme := runtime.NewScheme()
	if err := teranodev1alpha1.AddToScheme(scheme); err != nil {
		return nil, nil, err
	}
	if cluster != nil {
		peer.OwnerReferences = []metav1.OwnerReference{{Kind: "Cluster", Name: cluster.Name}}
	}
	reconciler := &PeerReconciler{Client: one{cluster: cluster}, Scheme: scheme, Context: context.Background()}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "peer", Labels: getAppLabels("peer")}}
	if err := reconciler.updateDeployment(deployment, peer); err != nil {
		return nil, nil, err
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "peer", Labels: utils.GetPrometheusLabels()}}
	return deployment, service, reconciler.updateService(service, peer)
}
